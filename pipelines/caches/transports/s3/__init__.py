"""A bucket of S3, or of what speaks like it.

place        address and environment -> where the bucket is, and who we are there
signing      signatures of requests
listing      a page of a listing
bucket       the transport
"""
