package openid

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/access"
)

// roles asks Authz what a person is on the platform and in the own organization, each as
// object#relation: a name without the object would be that of every organization's owner. Without
// an answer there is an error, and never fewer roles (R62).
func (p *Provider) roles(ctx context.Context, about Person) ([]string, error) {
	var asked []access.Question
	for _, relation := range []string{"administrator", "auditor"} {
		asked = append(asked, access.Question{Relation: relation, Object: "platform:gatehouse"})
	}
	for _, relation := range []string{"owner", "admin", "member", "auditor"} {
		asked = append(asked, access.Question{Relation: relation, Object: "organization:" + about.OrganizationID})
	}
	answers, err := p.Permissions.Allowed(ctx, "user:"+about.UserID, asked, "")
	if err == nil && len(answers) != len(asked) {
		err = errors.New("authz has not answered all questions")
	}
	if err != nil {
		return nil, access.Undecided(ctx, err)
	}
	roles := []string{} // a claim without roles is an empty list
	for i, q := range asked {
		if answers[i] {
			roles = append(roles, q.Object+"#"+q.Relation)
		}
	}
	return roles, nil
}
