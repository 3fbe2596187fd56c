// Package crowd bounds how many requests for flows a relay answers at a time.
//
// # The world it models
//
//	requests -> Enter -> answered, each with queues of its own -> leave
//
// A request for the past costs one stream to each agent and what waits in it, at most some 64 kB where its client does not read; one that
// follows shares streams with others (package tap). So their number is what bounds the memory of a relay, and what it asks of agents. One
// client has a quarter of the places at most, so that it cannot keep others out; the service accounts of a namespace are one client, since
// who has the namespace makes as many as it likes.
//
// # Invariants
//
//   - A request that is let in is answered as if it were alone; one that is not ends at once, and is told why.
//   - It takes no time, and no client waits for another.
//
// # Example
//
//	c := crowd.New(256)
//	leave, err := c.Enter("system:serviceaccount:shop:viewer")
//	if err != nil {
//		return err
//	}
//	defer leave()
package crowd

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Most is how many requests a relay answers at a time unless it is told otherwise.
const Most = 256

// Crowd counts requests.
type Crowd struct {
	most int

	mu   sync.Mutex
	all  int
	each map[string]int // by client; none is 0
}

// New makes a crowd of at most so many requests; 0: Most.
func New(most int) *Crowd {
	if most == 0 {
		most = Most
	}
	return &Crowd{most: most, each: map[string]int{}}
}

// Enter lets a request of a client in, until leave is called. An error is one of gRPC's package status: ResourceExhausted.
func (c *Crowd) Enter(client string) (leave func(), err error) {
	client = whole(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch own := max(1, c.most/4); {
	case c.all >= c.most:
		return nil, status.Error(codes.ResourceExhausted, fmt.Sprintf("this relay answers %d requests for flows at a time, and does: try again later, or end some that follow", c.most))
	case c.each[client] >= own:
		return nil, status.Error(codes.ResourceExhausted, fmt.Sprintf("this relay answers %d requests for flows of one client at a time, and you have as many: end some that follow", own))
	}
	c.all++
	c.each[client]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.each[client]--; c.each[client] == 0 {
			delete(c.each, client)
		}
	}), nil
}

// whole is the client that a name stands for: of a service account its namespace.
func whole(client string) string {
	const accounts = "system:serviceaccount:"
	if name, is := strings.CutPrefix(client, accounts); is {
		namespace, _, _ := strings.Cut(name, ":")
		return accounts + namespace
	}
	return client
}
