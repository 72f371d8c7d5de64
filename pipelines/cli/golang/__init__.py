"""`pipelines doctor go`: what keeps Go from using its caches."""
