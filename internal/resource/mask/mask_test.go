package mask

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

func TestChanged(t *testing.T) {
	mutable := []string{"display_name", "locale", "time_zone"}
	for name, c := range map[string]struct {
		mask *fieldmaskpb.FieldMask
		user *identityv1.User
		want string
	}{
		"named fields":        {&fieldmaskpb.FieldMask{Paths: []string{"locale", "time_zone"}}, &identityv1.User{DisplayName: "x"}, "locale,time_zone"},
		"named to be cleared": {&fieldmaskpb.FieldMask{Paths: []string{"display_name"}}, &identityv1.User{}, "display_name"},
		"star":                {&fieldmaskpb.FieldMask{Paths: []string{"*"}}, &identityv1.User{}, "display_name,locale,time_zone"},
		"no mask":             {nil, &identityv1.User{DisplayName: "x", TimeZone: "UTC"}, "display_name,time_zone"},
		"empty mask":          {&fieldmaskpb.FieldMask{}, &identityv1.User{Locale: "de"}, "locale"},
		"no mask, read-only":  {nil, &identityv1.User{Email: "x@example.com", Etag: "x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			named, err := Changed(c.mask, "user", c.user, mutable...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, field := range append(mutable, "email", "id", "nothing") {
				if named(field) {
					got = append(got, field)
				}
			}
			if strings.Join(got, ",") != c.want {
				t.Fatalf("got %v, want %s", got, c.want)
			}
		})
	}
}

// R53: what a client may not write is refused, not ignored.
func TestChangedRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"email":               "user.email immutable",
		"id":                  "user.id immutable",
		"organization_id":     "user.organization_id immutable",
		"etag":                "user.etag immutable",
		"create_time":         "user.create_time immutable",
		"create_time.seconds": "user.create_time immutable",
		"update_time":         "user.update_time immutable",
		"display_name.x":      "user.display_name immutable",
		"role":                "user.role unknown",
		"displayName":         "user.displayName unknown",
		"":                    "user. unknown",
		"roles.*":             "user.roles.* unknown",
	} {
		t.Run(path, func(t *testing.T) {
			_, err := Changed(&fieldmaskpb.FieldMask{Paths: []string{"display_name", path}}, "user", &identityv1.User{}, "display_name")
			field, rule, _ := strings.Cut(want, " ")
			check.InvalidField(t, err, field, rule)
		})
	}
	t.Run("too many", func(t *testing.T) {
		_, err := Changed(&fieldmaskpb.FieldMask{Paths: make([]string, 65)}, "user", &identityv1.User{}, "display_name")
		check.InvalidField(t, err, "update_mask", "max_items")
	})
	t.Run("long path is not echoed", func(t *testing.T) {
		_, err := Changed(&fieldmaskpb.FieldMask{Paths: []string{strings.Repeat("é", 5000)}}, "user", &identityv1.User{}, "display_name")
		check.InvalidField(t, err, "user."+strings.Repeat("é", 32)+"…", "unknown")
	})
}

// FuzzChanged: whatever a mask names, only mutable fields change, and a refusal names fields and
// repeats little.
func FuzzChanged(f *testing.F) {
	for _, seed := range []string{"", "*", "display_name", "locale,display_name", "displayName", "user.locale", "create_time.seconds", "*,email", ",", "locale.", "\xff", strings.Repeat("locale,", 64)} {
		f.Add(seed)
	}
	mutable := []string{"display_name", "locale", "time_zone"}
	fields := (&identityv1.User{}).ProtoReflect().Descriptor().Fields()
	f.Fuzz(func(t *testing.T, text string) {
		mask := &fieldmaskpb.FieldMask{Paths: strings.Split(text, ",")}
		named, err := Changed(mask, "user", &identityv1.User{}, mutable...)
		if err != nil {
			if e := apierr.From(err); e.Kind != apierr.InvalidArgument || len(e.Fields) == 0 || len(e.Fields) > maxMaskPaths || len(e.Fields[0].Path) > 100 {
				t.Errorf("%q is refused as %v with %d fields", text, e, len(e.Fields))
			}
			return
		}
		for i := range fields.Len() {
			field := string(fields.Get(i).Name())
			says := slices.Contains(mask.GetPaths(), field) || slices.Contains(mask.GetPaths(), "*")
			if named(field) != (slices.Contains(mutable, field) && says) {
				t.Errorf("%q changes %s: %t", text, field, named(field))
			}
		}
	})
}
