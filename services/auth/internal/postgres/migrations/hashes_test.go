package migrations_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	pgtest.CheckReleased(t, migrations.Files, map[string]string{
		"001_create_logins_sessions_keys.sql":       "84c2a7a1b97b96d7b0992c99028c559e322ba5a2131dba151c20cc0e5d9b3b74",
		"002_create_outbox.sql":                     "3d2ab4a8619bedf1e0a2de2ac94c04b26f02e39a4e038170e61010cf275d6f47",
		"003_add_bootstrap.sql":                     "92fdd0b3fea648685e7f55e672efa5c216ff4890dfd4d5c6d9c1cad45313df16",
		"004_create_relay.sql":                      "8065da6a7adce57b900a50e8780a39828515724843472122058d4cec34e592e3",
		"005_create_recoveries.sql":                 "88db905fd96a63ecd67566785538c67635d00eaebcd585a872f330f42027f997",
		"006_create_clients.sql":                    "59091b1c33f578f6031452a83e3350aa87af2e4c71500773a0e04d67353ae3ab",
		"007_create_id_token_keys.sql":              "83fa0912776cf04d2f78c083cab6449694606b92b2b4c2b9886dc587f66c77d6",
		"008_create_browser_sessions.sql":           "7ba283560287fbd73120cf2d44541c5027145d81e5ef0099627c918e9ad28071",
		"009_create_used_codes.sql":                 "d633a8a6fb480f38c0f9802e6c10fa74a97ca5a47f7568a273c235cb3a1fa90b",
		"010_create_failures.sql":                   "0da45e5a15afc433933454ff17b77786dfb776305f6bb747ea70353716ff846f",
		"011_create_mails.sql":                      "4f4d5e7e692c39156dd66e0d0532ea2f6cb30a0f4ce5a62a7aa87c3718068676",
		"012_create_mailed_codes.sql":               "dfb1107a52fedddfc1b020806c8e1e8c454dc79d0324b92135fcad5d2d44115c",
		"013_create_factors.sql":                    "00cc56c17174be79429676c534ea986b1f8bda8849acedc3bbd586f5eee44c7c",
		"014_add_email_verified.sql":                "e029ced4ae7e179b66ca0951f234aec14156161e321780fba6fc9a7bd2a03881",
		"015_suspend_logins.sql":                    "f01ff3a09cce0ac1b207367ca5ff45bfe08b2063e65d9d4a26132a78eb11fa4d",
		"016_add_new_email.sql":                     "31dd759c8783aaea9b58774258e9c114a04a67abd9b9e43407785415672ee2af",
		"017_add_require_verified_email.sql":        "b59b8a74e64bc15bdaad42e6a9b73ce8ec394695a8b8cf4b2bb940c278231155",
		"018_count_asked_mails.sql":                 "75e6258e14412a3daa93b7d07be6b76d10df01cb85d5bc4479685ff0f0e90960",
		"019_index_logins_by_email_attempt.sql":     "cfa7875ffeb9a6c250fe2b5b4db72644906f6318b6aae538d66f736c39d82690",
		"020_index_logins_by_new_email.sql":         "327f518d08dcb1e4354b63e86df5339c34265a892ccdcf6d07aefc4cb2d3c231",
		"021_index_logins_by_new_email_attempt.sql": "cc42932a8f799cec674c648d868589f0dc1e80dad0505377c899a3812286cb84",
		"022_validate_logins.sql":                   "ad51759d1b74d7f41f975c8f340752e7a9766f5c1a971641b85829ab656ce3bc",
		"023_add_invitations.sql":                   "aac7be074b55f03b5f244c7406cb464879480a86f893a9bf913fb8683db28f72",
		"024_add_return_to.sql":                     "f156f0fe60f61e3194f60cb22e3b08848268b4eec4df99f46bff1b57a4410a80",
		"025_add_language.sql":                      "753c61089d2454940ecbb41e7a4a1cb312859d6a0940ec86a6c1fa0bda8bb11a",
		"026_add_look_time.sql":                     "ca88fb23ae248a7187d5af88da8637fbb88913f2b24df1aaaa25f316f81a8669",
		"027_index_policies_by_look.sql":            "062747be7c7a2e3ad91ef0db736a732dc85d78a1caddae75f0b9fc7363706199",
	})
}

// No migration since the last release holds up requests of the instances that run meanwhile.
func TestMigrationsHoldNobodyUp(t *testing.T) {
	pgtest.CheckLocks(t, migrations.Files, "009_create_used_codes.sql")
}
