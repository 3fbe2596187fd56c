// Package v1 is how programs on a node speak with the agent: JSON over HTTP/1 on a unix socket that only root may open.
//
//	POST /v1/cni/{add,del,check,status,gc}   Request -> CNI result, or a CNI error
//
// Other groups of paths (tables, status of the node) are added by those who serve them; the server is an
// http.ServeMux. An agent that is still starting serves its socket, but not yet the CNI paths: 404. A path answers with status 200 and its result, or with another status and a CNI error object
// {"code", "msg", "details"} (CNI specification, section 5), whose text is written for people.
//
// The client here speaks HTTP by itself: net/http would make weft-cni, which a container runtime starts several times per
// pod, twice as big. The format stays compatible with the version before.
//
// Example:
//
//	result, err := v1.Call(ctx, v1.Socket, v1.PathAdd, v1.Request{ContainerID: id, Netns: netns, Interface: "eth0", Config: conf})
package v1
