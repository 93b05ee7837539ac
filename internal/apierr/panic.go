package apierr

import (
	"fmt"
	"runtime/debug"
)

// Panicked is the answer of a call that panicked: INTERNAL, with the panic and the stack of the
// calling goroutine as its cause, for the log.
func Panicked(panicked any) *Error {
	return From(fmt.Errorf("panic: %v\n%s", panicked, debug.Stack()))
}

// Recover makes an error of a panic. Every goroutine that belongs to a call defers it first, since
// the server's recovery sees the handler's own goroutine only and any other's panic ends the
// program:
//
//	go func() {
//		var err error
//		defer func() { done <- err }()
//		defer apierr.Recover(&err)
//		err = work()
//	}()
func Recover(err *error) {
	if panicked := recover(); panicked != nil {
		*err = Panicked(panicked)
	}
}
