"""Long-running work as generators of events that can be watched and stopped."""
