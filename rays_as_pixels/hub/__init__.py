"""The Hugging Face Hub: fetch a pipeline from a repository, and push one to it."""
