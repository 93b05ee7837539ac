package mesh_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Who writes relationships is part of the difference, in both renderings.
func TestCompareRelationships(t *testing.T) {
	base, head := world(), world()
	base.ObjectTypes = []mesh.ObjectType{
		{Name: "order", Owner: "shop", Writers: []mesh.Writer{{Program: "shop", Relations: []string{"buyer", "payer"}, DeleteAll: true}}},
	}
	head.ObjectTypes = []mesh.ObjectType{
		{Name: "order", Owner: "shop", Writers: []mesh.Writer{
			{Program: "shop", Relations: []string{"buyer"}, DeleteAll: true}, {Program: "stock", Relations: []string{"payer@user"}},
		}},
		{Name: "shelf", Owner: "stock"},
	}
	diff := mesh.Compare(base, head)
	granted, revoked := []string{"stock owns the type shelf", "stock writes order#payer@user"}, []string{"shop writes order#payer"}
	if !slices.Equal(diff.Granted, granted) || !slices.Equal(diff.Revoked, revoked) || diff.Empty() {
		t.Errorf("granted %q, revoked %q, want %q and %q", diff.Granted, diff.Revoked, granted, revoked)
	}
	var text, markdown bytes.Buffer
	if err := diff.Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := diff.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"+ stock writes order#payer@user\n", "- shop writes order#payer\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no line %q in:\n%s", want, &text)
		}
	}
	for _, want := range []string{"**Relationships newly allowed**\n\n- stock owns", "**Relationships taken away**\n\n- shop writes order#payer\n"} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in:\n%s", want, &markdown)
		}
	}
	if same := mesh.Compare(head, head); !same.Empty() {
		t.Errorf("the same mesh: %+v", same)
	}
}
