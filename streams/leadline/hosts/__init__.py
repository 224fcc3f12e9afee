"""Where the stages live: the Faust worker, its lanes, and their tables."""
