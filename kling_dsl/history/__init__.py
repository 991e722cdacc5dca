"""The project at its revisions: films straight from git's objects, and what an edit of them costs."""
