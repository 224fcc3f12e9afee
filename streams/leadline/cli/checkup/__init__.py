"""What `leadline doctor` looks at: `look_here` and `look_at_cluster` gather it, the judges say what is wrong with it."""
