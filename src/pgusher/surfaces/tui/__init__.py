"""The screen of `pgusher watch`: full or not, who, since when, without a key pressed; and a way back in time."""
