"""What a person or a program sees: `render` turns frozen values into lines, the others put them somewhere."""
