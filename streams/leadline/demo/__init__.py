"""The main job on six weeks of real flights, with time sped up."""
