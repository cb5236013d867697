// Empty: its presence lets clock.go declare a function without a body.
