package format

import "strings"

// class is a class of events of OCSF, with the category that it is in.
type class struct {
	uid      int
	category int
	caption  string
	name     string // in the schema's addresses
}

func authentication() class {
	return class{uid: 3002, category: 3, caption: "Authentication", name: "authentication"}
}

func accountChange() class {
	return class{uid: 3001, category: 3, caption: "Account Change", name: "account_change"}
}

func userAccess() class {
	return class{uid: 3005, category: 3, caption: "User Access Management", name: "user_access"}
}

func entityManagement() class {
	return class{uid: 3004, category: 3, caption: "Entity Management", name: "entity_management"}
}

func apiActivity() class {
	return class{uid: 6003, category: 6, caption: "API Activity", name: "api_activity"}
}

// activity is what happened, in the words of one class.
type activity struct {
	class   class
	id      int
	caption string
}

// other is the activity for which a class has no word: the action is its name.
const other = 99

// Classify returns the class, and the activity, that an action is exported as. An action that no
// class has a word for is API Activity: so is every one that is added to a contract later.
func classify(e Event) activity {
	if a, ok := signIns(e.Action); ok {
		return a
	}
	if a, ok := accounts(e.Action); ok {
		return a
	}
	if a, ok := entities(e.Action); ok {
		return a
	}
	if a, ok := grants(e); ok {
		return a
	}
	return activity{apiActivity(), verb(e.Action), ""}.named(e.Action)
}

func signIns(action string) (activity, bool) {
	a := activity{class: authentication()}
	switch action {
	case "auth.signed_in", "auth.client_signed_in":
		a.id, a.caption = 1, "Logon"
	case "auth.signed_out", "auth.session_ended", "auth.sessions_ended":
		a.id, a.caption = 2, "Logoff"
	case "auth.tokens_issued":
		a.id, a.caption = 4, "Service Ticket Request"
	case "auth.session_refreshed":
		a.id, a.caption = 5, "Service Ticket Renew"
	case "auth.sign_in_challenged":
		a.id, a.caption = 6, "Preauth"
	case "auth.token_revoked":
		a.id = other
	default:
		return a, false
	}
	return a.named(action), true
}

func accounts(action string) (activity, bool) {
	a := activity{class: accountChange()}
	switch action {
	case "user.created", "user.invited", "auth.signed_up", "auth.bootstrapped":
		a.id, a.caption = 1, "Create"
	case "user.activated", "user.restored", "auth.login_restored", "auth.invitation_accepted", "auth.recovered":
		a.id, a.caption = 2, "Enable"
	case "auth.password_changed":
		a.id, a.caption = 3, "Password Change"
	case "auth.password_reset":
		a.id, a.caption = 4, "Password Reset"
	case "user.suspended", "auth.login_suspended":
		a.id, a.caption = 5, "Disable"
	case "user.deleted", "user.invitation_cancelled", "auth.login_removed":
		a.id, a.caption = 6, "Delete"
	case "auth.totp_enrolled":
		a.id, a.caption = 10, "MFA Factor Enable"
	case "auth.totp_removed":
		a.id, a.caption = 11, "MFA Factor Disable"
	case "user.email_set", "user.invitation_resent", "auth.email_changed", "auth.email_change_requested", "auth.email_verified",
		"auth.email_verification_requested", "auth.password_reset_requested", "auth.recovery_codes_replaced", "auth.sign_up_requested",
		"auth.invitation_mailed":
		a.id = other
	default:
		return a, false
	}
	return a.named(action), true
}

func entities(action string) (activity, bool) {
	a := activity{class: entityManagement()}
	switch action {
	case "organization.created", "client.created":
		a.id, a.caption = 1, "Create"
	case "user.updated", "organization.updated", "client.updated", "client.secret_rotated", "client.secret_ended", "auth.sign_in_policy_set":
		a.id, a.caption = 3, "Update"
	case "organization.deleted", "client.deleted":
		a.id, a.caption = 4, "Delete"
	default:
		return a, false
	}
	return a, true
}

// grants are relationships that give one user something, or take it away. Those of several
// subjects, of groups and in both directions have no word there.
func grants(e Event) (activity, bool) {
	user, privileges, given := granted(e)
	switch {
	case user == "" || len(privileges) == 0:
		return activity{}, false
	case given:
		return activity{userAccess(), 1, "Assign Privileges"}, true
	default:
		return activity{userAccess(), 2, "Revoke Privileges"}, true
	}
}

// granted reads relationships, each "type:id#relation@type:id", as what one user got or lost.
func granted(e Event) (user string, privileges []string, given bool) {
	if e.Action != "authz.relationships_written" {
		return "", nil, false
	}
	writes, deletes := e.texts("writes"), e.texts("deletes")
	if (len(writes) > 0) == (len(deletes) > 0) {
		return "", nil, false
	}
	given = len(writes) > 0
	for _, text := range append(writes, deletes...) {
		object, subject, _ := strings.Cut(text, "@")
		id, isUser := strings.CutPrefix(subject, "user:")
		if !isUser || id == "" || strings.Contains(id, "#") || user != "" && user != id {
			return "", nil, false
		}
		user, privileges = id, append(privileges, object)
	}
	return user, privileges, given
}

// verb is API Activity's word for an action by its last part: Create, Update, Delete, or Other.
func verb(action string) int {
	last := action[strings.LastIndexByte(action, '.')+1:]
	for _, v := range []struct {
		id    int
		parts []string
	}{
		{4, []string{"deleted", "removed", "erased", "ended", "cancelled", "revoked"}},
		{1, []string{"created", "added", "queued", "issued", "registered"}},
		{3, []string{"updated", "set", "changed", "rotated", "replaced", "written", "renamed"}},
	} {
		for _, part := range v.parts {
			if last == part || strings.HasSuffix(last, "_"+part) {
				return v.id
			}
		}
	}
	return other
}

// named gives the activity a caption where its class has none.
func (a activity) named(action string) activity {
	switch {
	case a.id == other:
		a.caption = action
	case a.caption == "":
		a.caption = map[int]string{1: "Create", 2: "Read", 3: "Update", 4: "Delete"}[a.id]
	}
	return a
}
