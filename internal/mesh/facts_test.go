package mesh_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/relation"
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
	for _, want := range []string{"+ stock writes order#payer@user\n", "- shop writes order#payer\n", "\nBeside calls: 2 newly given, 1 taken away.\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no line %q in:\n%s", want, &text)
		}
	}
	for _, want := range []string{"**Beside calls, newly given**\n\n- stock owns", "**Beside calls, taken away**\n\n- shop writes order#payer\n"} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in:\n%s", want, &markdown)
		}
	}
	if same := mesh.Compare(head, head); !same.Empty() {
		t.Errorf("the same mesh: %+v", same)
	}
}

// So is who owns which schema, and who is given which secret: without its owner's role the program
// that only adds to a table could empty it.
func TestCompareDatabasesAndSecrets(t *testing.T) {
	base, head := world(), world()
	for _, d := range []*mesh.Definition{base, head} {
		d.Programs[1].Upstreams = []mesh.Upstream{{Name: mesh.Postgres, Protocol: "tcp"}}
	}
	base.Programs[1].Database = &mesh.Database{Owner: "shop_owner"}
	head.Programs[1].Database = &mesh.Database{Schemas: []string{"shop_search"}, Pools: []mesh.Pool{{Variable: "GATEHOUSE_SHOP_CONNS", Size: 5}}}
	head.Programs[2].Secrets = []mesh.Secret{{File: "stock.key", Variable: "GATEHOUSE_STOCK_KEY", Kind: contract.KeySecret}}
	diff := mesh.Compare(base, head)
	granted := []string{"stock is given the secret stock.key", "the role shop owns the schema shop", "the role shop owns the schema shop_search"}
	revoked := []string{"the role shop_owner owns the schema shop"}
	if !slices.Equal(diff.Granted, granted) || !slices.Equal(diff.Revoked, revoked) {
		t.Errorf("granted %q, revoked %q, want %q and %q", diff.Granted, diff.Revoked, granted, revoked)
	}
}

// A relation with a type admits subjects that are one of that type; every_relation admits all of
// the type and nothing of another.
func TestWrites(t *testing.T) {
	d := &mesh.Definition{ObjectTypes: []mesh.ObjectType{
		{Name: "order", Owner: "shop", Writers: []mesh.Writer{{Program: "shop", Relations: []string{contract.EveryRelation}, DeleteAll: true}}},
		{Name: "shelf", Owner: "stock", Writers: []mesh.Writer{{Program: "shop", Relations: []string{"keeper@user", "reader"}}}},
	}}
	for text, want := range map[string]bool{
		"shop order:1#buyer@user:u": true, "shop order:1#seller@group:g#member": true, "shop shelf:1#reader@group:g#member": true,
		"shop shelf:1#keeper@user:u": true, "shop shelf:1#keeper@user:u#friend": false, "shop shelf:1#keeper@group:g": false,
		"shop shelf:1#owner@user:u": false, "shop shelf:1#every_relation@user:u": false, "stock shelf:1#reader@user:u": false,
		"stock order:1#buyer@user:u": false, " order:1#buyer@user:u": false, "shop other:1#reader@user:u": false,
	} {
		program, rest, _ := strings.Cut(text, " ")
		tuple, err := relation.Parse(rest)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Writes(program, tuple); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
	if !d.DeletesAll("shop", "order") || d.DeletesAll("shop", "shelf") || d.DeletesAll("stock", "order") || d.DeletesAll("shop", "other") {
		t.Error("who deletes all is wrong")
	}
}
