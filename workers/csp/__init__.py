"""Whether a page's Content-Security-Policy lets the analytics snippet work. Pure: text in, values out."""
