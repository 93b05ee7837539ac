package postgres

import "time"

// Patient makes CheckAppend wait that long for the lock.
func (s *Events) Patient(patience time.Duration) { s.patience = patience }
