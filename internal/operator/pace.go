package operator

import (
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// The operator writes for all nodes at once: the status of every policy when it is upgraded, two writes for each identity
// that goes. client-go's own 5 requests a second would take minutes for that; the API server's own fairness protects it from
// more.
const (
	requestsPerSecond = 250
	requestsAtOnce    = 500
	writers           = 8 // of one kind: a write waits for a disk or three
)

// paced is a way to the API server with room for a cluster's writes, unless it has a pace of its own.
func paced(api *rest.Config) *rest.Config {
	c := rest.CopyConfig(api)
	if c.QPS == 0 && c.RateLimiter == nil {
		c.QPS, c.Burst = requestsPerSecond, requestsAtOnce
	}
	return c
}

// many lets a controller judge several objects at a time.
var many = controller.Options{MaxConcurrentReconciles: writers}
