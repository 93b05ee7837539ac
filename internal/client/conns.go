package client

import (
	"errors"
	"sync"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Conns are the ways of one program to its upstreams. Safe for concurrent use.
type Conns struct {
	def     *mesh.Definition
	offset  int
	program string
	options Options

	mu    sync.Mutex
	conns map[string]*Conn
}

// NewConns makes an empty set.
func NewConns(def *mesh.Definition, offset int, program string, o Options) *Conns {
	return &Conns{def: def, offset: offset, program: program, options: o, conns: map[string]*Conn{}}
}

// Conn returns the way to an upstream, the same one each time.
func (c *Conns) Conn(upstream string) (*Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn, ok := c.conns[upstream]; ok {
		return conn, nil
	}
	conn, err := Dial(c.def, c.offset, c.program, upstream, c.options)
	if err != nil {
		return nil, err
	}
	c.conns[upstream] = conn
	return conn, nil
}

// Close closes every connection.
func (c *Conns) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	clear(c.conns)
	return errors.Join(errs...)
}
