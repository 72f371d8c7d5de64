"""Pure functions of texts: env files, line differences, patches, search patterns."""
