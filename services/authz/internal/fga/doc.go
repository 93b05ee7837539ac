// Package fga is Authz's relationship engine: OpenFGA, embedded, over PostgreSQL in the schema authz_fga.
//
// It is the only code that knows OpenFGA. It evaluates checks with the weighted algorithm and no
// cache of answers: every answer is read from the primary. Tuples are written by Engine.Write only;
// what is read as it was written is plain SQL on OpenFGA's table. Errors are those of apierr; the
// codes of OpenFGA, which are not gRPC codes, end here. Only services/authz imports it.
package fga
