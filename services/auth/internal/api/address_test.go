package api_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// No contract lets an address in that is not ASCII: what the one rule of addresses does not fold is
// in none (issue 8, line 16).
func TestAddressesAreASCII(t *testing.T) {
	t.Parallel()
	const id = "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10"
	requests := map[string]func(email string) proto.Message{
		"sign up": func(email string) proto.Message { return &authv1.SignUpRequest{Email: email, Password: pass} },
		"bootstrap": func(email string) proto.Message {
			return &authv1.BootstrapRequest{Secret: "s", Email: email, Password: pass}
		},
		"register": func(email string) proto.Message { return &identityv1.RegisterUserRequest{Id: id, Email: email} },
		"create":   func(email string) proto.Message { return &identityv1.CreateUserRequest{Email: email} },
	}
	for name, request := range requests {
		if err := protovalidate.Validate(request("A.z+9@Ex-ample.com")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
			folds := unicode.ToLower(r) != r || unicode.SimpleFold(r) != r
			if !utf8.ValidRune(r) || !folds && r%97 != 0 { // of those that do not fold some are enough
				continue
			}
			for _, email := range []string{"a" + string(r) + "@example.com", "a@ex" + string(r) + "ample.com"} {
				if protovalidate.Validate(request(email)) == nil {
					t.Fatalf("%s takes the address %q", name, email)
				}
			}
		}
	}
}
