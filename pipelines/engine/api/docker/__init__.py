"""Dockerfiles to containers: instructions become the ops that the rest of the API makes.

build       the field: reads the Dockerfile and what is to be ignored
stages      which stages are needed, and what each begins with
state       a stage on its way: container, variables, history
settings    instructions that only change the configuration
running     RUN
copying     COPY and ADD
"""
