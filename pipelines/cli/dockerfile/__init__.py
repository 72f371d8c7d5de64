"""`pipelines doctor dockerfile`: what makes a Go Dockerfile slow or wrong, and the better file.

reading    what the checks ask of a Dockerfile
findings   the checks: line, what is wrong, what it costs
better     the file without what was found
command    the command line
"""
