package client

// RedirectRule returns the rule that a redirect URI breaks, or "".
func RedirectRule(uri string, public bool) string { return checkRedirect(uri, public).rule }

// OriginRule returns the rule that a web origin breaks, or "".
func OriginRule(origin string) string { return checkOrigin(origin).rule }

// AudienceRule returns the rule that an audience breaks, or "".
func AudienceRule(audience string, own ...string) string { return checkAudience(audience, own).rule }
