package export_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// storage is S3-compatible storage of a stranger over a folder.
const storage = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

const (
	accessKey = "access"
	secretKey = "secret-of-the-storage"
	bucket    = "trail"
)

// start starts a program that runs until the test ends, and keeps what it prints for a failure.
func start(t *testing.T, environ []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = append(os.Environ(), environ...), &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(name), &out)
		}
	})
}

// free is an address of this machine that nobody has.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// answers waits until somebody listens.
func answers(t *testing.T, address string) {
	t.Helper()
	check.Within(t, time.Minute, "somebody listens at "+address, func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func TestBucketAfterKills(t *testing.T) {
	bucketAfterKills(t, stand(t, numbered(events)), identified(events))
}

// bucketAfterKills pushes to a bucket, and kills the push whenever some objects more are there. In
// the end the bucket has every event once.
func bucketAfterKills(t *testing.T, w world, want trail) {
	bin, folder, address := t.TempDir(), t.TempDir(), free(t)
	install := exec.Command("go", "install", storage)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-trimpath")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", storage, err, out)
	}
	check.NoError(t, os.Mkdir(filepath.Join(folder, bucket), 0o700))
	start(t, []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
		filepath.Join(bin, "versitygw"), "--port", address, "posix", "--sidecar", t.TempDir(), folder)
	answers(t, address)
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, "")})
	check.NoError(t, err)

	state := filepath.Join(t.TempDir(), "state")
	w.environ = append(w.environ, "GATEHOUSE_CLI_S3_ACCESS_KEY="+accessKey, "GATEHOUSE_CLI_S3_SECRET_KEY="+secretKey)
	during, stop := growing(t, filepath.Join(folder, bucket))
	w.killed(t, kills, during, "--to", "s3:"+bucket+"/a/b", "--s3-endpoint", "http://"+address, "--resume", state, "--once", "--batch", "10")
	stop()

	var got arrived
	for object := range client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Prefix: "a/b/", Recursive: true}) {
		check.NoError(t, object.Err)
		body, err := client.GetObject(t.Context(), bucket, object.Key, minio.GetObjectOptions{})
		check.NoError(t, err)
		for lines := json.NewDecoder(body); ; {
			var e struct{ ID string }
			if err := lines.Decode(&e); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", object.Key, err)
			}
			got.add(e.ID)
		}
	}
	got.whole(t, want, 1)
}

// growing tells whenever a folder has some files more, a few times.
func growing(t *testing.T, folder string) (<-chan struct{}, func()) {
	t.Helper()
	return watched(t, 7, func() (files int) {
		_ = filepath.WalkDir(folder, func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return nil
		})
		return files
	})
}
