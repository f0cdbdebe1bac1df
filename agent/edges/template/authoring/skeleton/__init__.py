"""Files of a new template; `scientist template new` copies them, nothing imports them."""
