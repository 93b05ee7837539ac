package password

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/minio/argon2"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// retryAfter is what a caller is told when the queue is full: long enough for a whole default queue to be worked off.
const retryAfter = 2 * time.Second

// Pool hashes and verifies with a bounded number of workers and a bounded queue, so that a flood of
// sign-ins costs the machine no more than about workers × (Memory KiB and one core), and everybody
// beyond the queue is told at once to come back. The memory of an ended hash is cleared and used
// for the next one; when there is none, the garbage collector takes it.
type Pool struct {
	parameters Parameters
	random     io.Reader
	decoy      string
	slots      chan struct{}
	queue      int64
	waiting    atomic.Int64
	derive     derive
}

// NewPool returns a pool that hashes with p on at most workers cores while at most queue further
// callers wait.
func NewPool(p Parameters, workers, queue int, random io.Reader) (*Pool, error) {
	if workers < 1 || queue < 0 {
		return nil, fmt.Errorf("a password pool needs at least one worker and no negative queue, not %d and %d", workers, queue)
	}
	decoy, err := Decoy(random, p)
	if err != nil {
		return nil, err
	}
	reusing := argon2.NewIDKey(p.Time, p.Memory, p.Threads)
	return &Pool{
		parameters: p, random: random, decoy: decoy, slots: make(chan struct{}, workers), queue: int64(queue),
		derive: func(of Parameters, password, salt []byte, length uint32) []byte {
			if of != p { // a hash from before the parameters were changed, or from elsewhere
				return idKey(of, password, salt, length)
			}
			return reusing(password, salt, nil, nil, length)
		},
	}, nil
}

// Hash returns the PHC string of a password. A full queue is RESOURCE_EXHAUSTED (SIGN_IN_OVERLOAD); a context that ends in the queue
// gives its error.
func (p *Pool) Hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	return hash(p.derive, p.random, p.parameters, password)
}

// Verify reports whether password matches phc, and whether phc was made with weaker parameters than the pool's. Errors as Hash.
func (p *Pool) Verify(ctx context.Context, password, phc string) (match, weak bool, err error) {
	e, err := parse(phc)
	if err != nil {
		return false, false, err
	}
	if err := p.acquire(ctx); err != nil {
		return false, false, err
	}
	defer p.release()
	return e.matches(p.derive, password), e.Weaker(p.parameters), nil
}

// VerifyNobody does the work of Verify for a login that does not exist. Errors as Hash.
func (p *Pool) VerifyNobody(ctx context.Context, password string) error {
	_, _, err := p.Verify(ctx, password, p.decoy)
	return err
}

func (p *Pool) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return reason.SignInOverload().About("service:auth").
			WithRetryAfter(retryAfter)
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a hashing worker: %w", ctx.Err())
	}
}

func (p *Pool) release() { <-p.slots }
