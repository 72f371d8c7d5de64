"""From events to what people and programs read: progress, summary, JSON."""
