"""Experimental: Wan 2.1 as the start of a joint network; not yet run with published weights."""
