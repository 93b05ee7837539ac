package openid

// Sealed is an authorization code, for tests of what opens it.
func Sealed(c *Codes, sessionID string) (string, error) { return c.seal(code{SessionID: sessionID}) }

// Opened is the session that an authorization code begins.
func Opened(c *Codes, text string) (sessionID string, err error) {
	v, err := c.open(text)
	return v.SessionID, err
}
