// Package outbox carries what a service has committed to other programs. What is carried is theirs:
// a topic, its payloads and who delivers them are in the package of the callee's clients.
//
// A store appends a row in the transaction of the change (Append, or Message.Args in a statement of
// its own), always after it has locked or written the row of the object, or the order per object is
// lost. One relay per service, whichever instance has the lease of the table relay, delivers the
// rows of each topic in order and removes them afterwards: at least once, so receivers drop ids
// that they know. It never remembers "the last position": a transaction that commits late would be
// skipped.
//
//	InTx ──commit──▶ row ──wake──▶ relay ──Deliver──▶ other program
//	                  ▲              │ delivered: delete
//	                  │              │ poison:    park, with the reason
//	                  └── retry ◀────┘ error:     back off
//
// Each service has the tables of outbox.sql in its schema, copied into a migration of its own (DDL prints them; outboxtest compares).
// A parked row is delivered again after "update <schema>.outbox set park_time = null where id = …".
//
// Stores and wiring import this package; domain packages do not.
package outbox
