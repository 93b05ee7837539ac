package password

import (
	"context"
	"fmt"
	"io"

	"github.com/minio/argon2"
)

// Pool hashes and verifies with a bounded number of workers and a bounded queue, so that a flood of
// sign-ins costs the machine no more than about workers × (Memory KiB and one core), and everybody
// beyond the queue is told at once to come back. Who waits does so in the lane of their
// address. The memory of an ended hash is cleared and used
// for the next one; when there is none, the garbage collector takes it.
type Pool struct {
	parameters Parameters
	random     io.Reader
	decoy      string
	queue      *queue
	from       func(context.Context) string
	derive     derive
}

// NewPool returns a pool that hashes with p on at most workers cores while at most queue further
// callers wait. from names the network that a call
// comes from, "" when there is none.
func NewPool(p Parameters, workers, queue int, random io.Reader, from func(context.Context) string) (*Pool, error) {
	if workers < 1 || queue < 0 {
		return nil, fmt.Errorf("a password pool needs at least one worker and no negative queue, not %d and %d", workers, queue)
	}
	decoy, err := Decoy(random, p)
	if err != nil {
		return nil, err
	}
	reusing := argon2.NewIDKey(p.Time, p.Memory, p.Threads)
	return &Pool{
		parameters: p, random: random, decoy: decoy, queue: newQueue(workers, queue), from: from,
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
	if err := p.queue.acquire(ctx, p.from(ctx)); err != nil {
		return "", err
	}
	defer p.queue.release()
	return hash(p.derive, p.random, p.parameters, password)
}

// Verify reports whether password matches phc, and whether phc was made with weaker parameters than the pool's. Errors as Hash.
func (p *Pool) Verify(ctx context.Context, password, phc string) (match, weak bool, err error) {
	e, err := parse(phc)
	if err != nil {
		return false, false, err
	}
	if err := p.queue.acquire(ctx, p.from(ctx)); err != nil {
		return false, false, err
	}
	defer p.queue.release()
	return e.matches(p.derive, password), e.Weaker(p.parameters), nil
}

// VerifyNobody does the work of Verify for a login that does not exist. Errors as Hash.
func (p *Pool) VerifyNobody(ctx context.Context, password string) error {
	_, _, err := p.Verify(ctx, password, p.decoy)
	return err
}
