package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	authn "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/relay/review"
)

// Token gives the token that the kubeconfig has now: as it stands there, of a file, or of a program that is asked for it. Empty: it has
// none, but a certificate, or it asks as another user (impersonation), which a relay that is shown a token knows nothing of.
func (c *Cluster) Token(ctx context.Context) (string, error) {
	if c.flags.ServiceAccount != "" {
		return c.issue(ctx)
	}
	if who := c.config.Impersonate; who.UserName != "" || len(who.Groups) > 0 {
		return "", nil
	}
	var seen capture
	ask, err := rest.HTTPWrappersForConfig(c.config, &seen)
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig's token: %w", err)
	}
	transport, err := c.config.TransportConfig()
	if err == nil && transport.WrapTransport != nil {
		ask = transport.WrapTransport(ask) // programs that give tokens are in there
	}
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig's token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.Host, nil)
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig's token: %w", err)
	}
	if _, err := ask.RoundTrip(request); err != nil && !errors.Is(err, errCaptured) { //nolint:bodyclose // there is no answer
		return "", fmt.Errorf("get the kubeconfig's token: %w", err)
	}
	kind, token, _ := strings.Cut(seen.authorization, " ")
	if !strings.EqualFold(kind, "bearer") {
		return "", nil
	}
	return token, nil
}

var errCaptured = errors.New("nothing is sent")

// capture sends nothing, and keeps what a request would have shown.
type capture struct{ authorization string }

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.authorization = r.Header.Get("Authorization")
	return nil, errCaptured
}

// issue has the API server make a token of a service account, for the relay alone. It asks whether who asks may.
func (c *Cluster) issue(ctx context.Context) (string, error) {
	namespace, name, found := strings.Cut(c.flags.ServiceAccount, "/")
	if !found || namespace == "" || name == "" {
		return "", fmt.Errorf("--service-account %q: must be NAMESPACE/NAME", c.flags.ServiceAccount)
	}
	life := int64((10 * time.Minute).Seconds())
	t := &authn.TokenRequest{Spec: authn.TokenRequestSpec{Audiences: []string{review.Audience}, ExpirationSeconds: &life}}
	if err := c.client.Post().Resource("serviceaccounts").Namespace(namespace).Name(name).SubResource("token").Body(t).Do(ctx).Into(t); err != nil {
		return "", fmt.Errorf("get a token of service account %s: %w", c.flags.ServiceAccount, err)
	}
	return t.Status.Token, nil
}

// shown has each request of gRPC show a token, got anew before it is old.
type shown struct {
	get func(context.Context) (string, error)

	mu    sync.Mutex
	token string
	at    time.Time
}

const fresh = 5 * time.Minute

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s *shown) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" || time.Since(s.at) > fresh {
		token, err := s.get(ctx)
		if err != nil {
			return nil, err
		}
		s.token, s.at = token, time.Now()
	}
	return map[string]string{"authorization": "Bearer " + s.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the API server carries what is forwarded, by TLS.
func (*shown) RequireTransportSecurity() bool { return false }
