package user

// Scope is whose users a call may reach: those of one organization, or of all. The zero Scope reaches nobody, so that a tenant that was
// forgotten never becomes every tenant.
type Scope struct {
	organizationID string
	everywhere     bool
}

// In reaches the users of one organization; of none when the id is empty.
func In(organizationID string) Scope { return Scope{organizationID: organizationID} }

// Everywhere reaches the users of all organizations. It is for whom Authz admitted, and for nobody else.
func Everywhere() Scope { return Scope{everywhere: true} }

// Organization returns the one organization of the scope, or that it is everywhere.
func (s Scope) Organization() (id string, everywhere bool) { return s.organizationID, s.everywhere }
