// Package rest turns a public HTTP request into the gRPC call that its contract names, and the
// response back.
//
// The mapping itself is grpc-gateway's generated code. What this package adds is strictness: a request that carries anything the
// contract does not know (a field, a parameter, a precondition, a second value) is refused with a problem document that names it,
// before any service is called. Routes, success statuses and request fields all come from internal/contract.
//
// Checks hold every request to one shape and find its Route before Handler runs. Who may send one, from where and how often is not
// decided here: that is each door's policy.
package rest
