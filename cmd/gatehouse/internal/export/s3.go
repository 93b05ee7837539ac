package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Timeout is the longest that an object may take.
const s3Timeout = time.Minute

// S3Params are what an S3 is made of.
type S3Params struct {
	Endpoint  string // https://host, or http:// on this machine
	Region    string
	AccessKey string
	SecretKey string
	Bucket    string
	Prefix    string // "" is none
	Export    string // id of the export
	Kind      string // media type of the objects
	Suffix    string // of their names
	Header    []byte // before the first line of each
	Transport http.RoundTripper
}

// S3 is a bucket as a receiver. An object holds a batch, and is named by the export and the number
// of its first event: a batch that is delivered again, even with more or fewer events, replaces the
// object, and none has an event of another one.
type S3 struct {
	client *minio.Client
	params S3Params
}

// NewS3 connects to nobody yet.
func NewS3(p S3Params) (*S3, error) {
	u, err := url.Parse(p.Endpoint)
	switch {
	case p.Bucket == "":
		return nil, errors.New("the bucket is missing: write --to s3:BUCKET/PREFIX")
	case err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil:
		return nil, errors.New("the storage's address is missing or wrong: give --s3-endpoint https://HOST")
	case u.Scheme != "https" && (u.Scheme != "http" || !ofThisMachine(u.Hostname())):
		return nil, errors.New("the storage would be told events in clear: give its https:// address with --s3-endpoint")
	case p.AccessKey == "" || p.SecretKey == "":
		return nil, errors.New("the storage's keys are missing: give GATEHOUSE_CLI_S3_ACCESS_KEY_FILE and GATEHOUSE_CLI_S3_SECRET_KEY_FILE")
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(p.AccessKey, p.SecretKey, ""), Secure: u.Scheme == "https", Region: p.Region, Transport: p.Transport,
		MaxRetries: 1, // the export tries again, and says so
	})
	if err != nil {
		return nil, fmt.Errorf("the storage at %s cannot be used: %w", u.Host, err)
	}
	return &S3{client: client, params: p}, nil
}

// Deliver stores the batch as one object.
func (s *S3) Deliver(ctx context.Context, b Batch) error {
	ctx, cancel := context.WithTimeout(ctx, s3Timeout)
	defer cancel()
	body := append(bytes.Clone(s.params.Header), bytes.Join(b.Lines, nil)...)
	_, err := s.client.PutObject(ctx, s.params.Bucket, s.name(b.First), bytes.NewReader(body), int64(len(body)),
		minio.PutObjectOptions{ContentType: s.params.Kind, DisableMultipart: true})
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	err = fmt.Errorf("store in the bucket %s: %w", s.params.Bucket, err)
	switch answer.Code {
	case "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidBucketName", "AuthorizationHeaderMalformed":
		return Final(fmt.Errorf("%w: mend it and start again", err))
	}
	return err
}

// name sorts as the events do.
func (s *S3) name(first int64) string {
	name := fmt.Sprintf("%s/%020d%s", s.params.Export, first, s.params.Suffix)
	if prefix := strings.Trim(s.params.Prefix, "/"); prefix != "" {
		name = prefix + "/" + name
	}
	return name
}
