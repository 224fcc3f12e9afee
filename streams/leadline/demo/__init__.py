"""The main job on a month of real flights, with time sped up."""
