"""Our server beside what people would otherwise put together: the same model and the same bytes to all of them."""
