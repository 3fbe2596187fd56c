// Package review asks the API server of Kubernetes who a client of the relay is, and what it may see.
//
//	token        -> TokenReview          -> user, groups
//	user, groups -> SubjectAccessReview  -> may get flows.weftnet.io in all namespaces; in one namespace
//
// # Invariants
//
//   - Answers are remembered for Remember at most, a number of them that is bounded; errors are not. So a right that is taken away, or a
//     token, ends no later than that, also for a request that is under way: each flow is asked for again.
//   - What is not known is not allowed.
//   - A token is sent to the API server and nowhere else: it is remembered by its hash, and in no log or error.
//   - However many tokens that nothing knows come, those that were good a while ago are reviewed, and remembered, as if there were none; and
//     of one address, as of one user, few questions are under way at a time. Any pod can ask.
//
// # Example
//
//	reviews, err := review.New(config, log)
//	reader, err := reviews.Admit(ctx, token)
//	yes, err := reader.May(ctx, "shop")
package review

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	authn "k8s.io/api/authentication/v1"
	authz "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/credential/door"
	"weftnet.io/weftnet/internal/tenancy"
)

// What a client must have the right to get.
const (
	Group    = "weftnet.io"
	Resource = "flows"
)

// Audience is that of tokens which are made for the relay alone. Those of the API server are taken as well.
const Audience = "hubble-relay." + Group

const (
	// Remember is for how long an answer is taken as it was.
	Remember = 30 * time.Second
	// refusals are asked again sooner: the right may just have been given.
	refusal = 5 * time.Second

	mostTokens = 2_000
	mostRights = 20_000

	// vouched is for how long a token that was good is asked about before those that are new.
	vouched = 10 * time.Minute
	// Questions that are under way at a time.
	ofAddress = 2 // about new tokens
	ofUser    = 4 // about rights

	// patience is how long the API server may take for an answer.
	patience = 5 * time.Second
	// maxToken is the length of the longest token that is asked about, in bytes.
	maxToken = 16 << 10
)

// Reviews asks an API server.
type Reviews struct {
	tokens, again  reviewer // of new ones; of those that were good
	rights         func(context.Context, *authz.SubjectAccessReview) (*authz.SubjectAccessReview, error)
	users, allowed *cache.LRUExpireCache
	refused, good  *cache.LRUExpireCache // tokens by their hash: nothing knows them; they were good
	addresses      *line
	askers         *line
	asking         singleflight.Group
	log            *slog.Logger
}

type reviewer func(context.Context, *authn.TokenReview) (*authn.TokenReview, error)

var _ tenancy.Gate = (*Reviews)(nil)

// New makes a gate that asks the API server of a configuration. New tokens have a limit of their own: bad ones by the thousand hold up no
// review of rights, nor of tokens that were good.
func New(config *rest.Config, log *slog.Logger) (*Reviews, error) {
	tokens, err := reviewTokens(config)
	if err != nil {
		return nil, err
	}
	again, err := reviewTokens(config)
	if err != nil {
		return nil, err
	}
	rights, err := connect(config, authz.SchemeGroupVersion, 100)
	if err != nil {
		return nil, fmt.Errorf("ask the API server for rights: %w", err)
	}
	r := newReviews(log, nil)
	r.tokens, r.again = tokens, again
	r.rights = func(ctx context.Context, ask *authz.SubjectAccessReview) (*authz.SubjectAccessReview, error) {
		said := &authz.SubjectAccessReview{}
		return said, rights.Post().Resource("subjectaccessreviews").Body(ask).Do(ctx).Into(said)
	}
	return r, nil
}

// reviewTokens is a way to the API server with a limit of its own.
func reviewTokens(config *rest.Config) (reviewer, error) {
	c, err := connect(config, authn.SchemeGroupVersion, 50)
	if err != nil {
		return nil, fmt.Errorf("ask the API server for tokens: %w", err)
	}
	return func(ctx context.Context, ask *authn.TokenReview) (*authn.TokenReview, error) {
		said := &authn.TokenReview{}
		return said, c.Post().Resource("tokenreviews").Body(ask).Do(ctx).Into(said)
	}, nil
}

func connect(config *rest.Config, group schema.GroupVersion, qps float32) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(authn.AddToScheme(scheme), authz.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(config)
	c.GroupVersion, c.NegotiatedSerializer, c.APIPath = &group, serializer.NewCodecFactory(scheme).WithoutConversion(), "/apis"
	c.QPS, c.Burst = qps, int(2*qps)
	return rest.RESTClientFor(c)
}

// newReviews takes another clock for tests; nil: that of the machine.
func newReviews(log *slog.Logger, clock cache.Clock) *Reviews {
	remember := func(most int) *cache.LRUExpireCache {
		if clock != nil {
			return cache.NewLRUExpireCacheWithClock(most, clock)
		}
		return cache.NewLRUExpireCache(most)
	}
	return &Reviews{
		log: log, users: remember(mostTokens), allowed: remember(mostRights), refused: remember(mostTokens), good: remember(mostTokens),
		addresses: newLine(ofAddress), askers: newLine(ofUser),
	}
}

// client is what is known by a token.
type client struct {
	of    *Reviews
	token string
	key   [sha256.Size]byte // of the token
	name  string
}

// Admit implements tenancy.Gate.
func (r *Reviews) Admit(ctx context.Context, token string) (tenancy.Reader, error) {
	if len(token) > maxToken {
		return nil, status.Errorf(codes.Unauthenticated, "the token is longer than %d bytes: that is none of Kubernetes", maxToken)
	}
	c := &client{of: r, token: token, key: sha256.Sum256([]byte(token))}
	user, err := c.user(ctx)
	if err != nil {
		return nil, err
	}
	c.name = user.Username
	return c, nil
}

// Name implements tenancy.Reader.
func (c *client) Name() string { return c.name }

// All implements tenancy.Reader.
func (c *client) All(ctx context.Context) (bool, error) { return c.may(ctx, metav1.NamespaceAll) }

// May implements tenancy.Reader. A flow of no namespace is for those who see all.
func (c *client) May(ctx context.Context, namespace string) (bool, error) {
	if namespace == "" {
		return c.All(ctx)
	}
	return c.may(ctx, namespace)
}

// ask gives what is remembered, else what the API server says; callers that ask the same at one time ask it once.
func ask[A any](ctx context.Context, r *Reviews, known *cache.LRUExpireCache, key any, say func(ctx context.Context) (answer A, keep time.Duration, err error)) (A, error) {
	if answer, ok := known.Get(key); ok {
		return answer.(A), nil
	}
	said := r.asking.DoChan(fmt.Sprintf("%T %q", key, key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // the one that asked first may leave
		defer cancel()
		answer, keep, err := say(ctx)
		if err != nil {
			return answer, err
		}
		if keep > 0 {
			known.Add(key, answer, keep)
		}
		return answer, nil
	})
	select {
	case s := <-said:
		answer, _ := s.Val.(A)
		return answer, s.Err
	case <-ctx.Done():
		var none A
		return none, status.FromContextError(ctx.Err()).Err()
	}
}

// user is what the API server says of a token; nil: it knows no such one.
type user struct {
	authn.UserInfo
	key string // all of it as text
}

func (c *client) user(ctx context.Context) (*user, error) {
	if _, known := c.of.refused.Get(c.key); known {
		return nil, errUnknown
	}
	u, err := ask(ctx, c.of, c.of.users, c.key, c.review)
	if err == nil && u == nil {
		err = errUnknown
	}
	return u, err
}

var errUnknown = status.Error(codes.Unauthenticated, "the cluster does not know your token: it has expired, or is of another cluster; get a new one (kubectl create token, or log in again)")

// review asks about a token; nil: nothing knows it.
func (c *client) review(ctx context.Context) (*user, time.Duration, error) {
	review := c.of.again
	if _, was := c.of.good.Get(c.key); !was {
		leave, err := c.of.addresses.enter(ctx, addressOf(ctx))
		if err != nil {
			return nil, 0, status.Error(codes.Unavailable, "who you are cannot be found out now: too many tokens that the cluster does not know come from your address")
		}
		defer leave()
		review = c.of.tokens
	}
	for _, audiences := range [][]string{nil, {Audience}} {
		said, err := review(ctx, &authn.TokenReview{Spec: authn.TokenReviewSpec{Token: c.token, Audiences: audiences}})
		if err != nil {
			c.of.log.Warn("a client's token cannot be reviewed", "error", err)
			return nil, 0, status.Error(codes.Unavailable, "who you are cannot be found out now: the API server does not review tokens for the relay, whose log says why")
		}
		if said.Status.Authenticated && (audiences == nil || slices.Contains(said.Status.Audiences, Audience)) {
			c.of.good.Add(c.key, true, vouched)
			return &user{said.Status.User, whole(said.Status.User)}, Remember, nil
		}
	}
	c.of.good.Remove(c.key)
	c.of.refused.Add(c.key, true, refusal)
	return nil, 0, nil
}

// addressOf is from where a client asks.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	return door.Whose(p.Addr).String()
}

// right is a question: a user, with all that may matter for the answer, and a namespace; empty: all.
type right struct{ user, namespace string }

// may asks for the right in a namespace; empty: in all of them. Who the client is is asked first, so that a token which has ended gives nothing.
func (c *client) may(ctx context.Context, namespace string) (bool, error) {
	u, err := c.user(ctx)
	if err != nil {
		return false, err
	}
	return ask(ctx, c.of, c.of.allowed, right{u.key, namespace}, func(ctx context.Context) (bool, time.Duration, error) {
		spec := authz.SubjectAccessReviewSpec{
			User: u.Username, UID: u.UID, Groups: u.Groups, Extra: map[string]authz.ExtraValue{},
			ResourceAttributes: &authz.ResourceAttributes{Namespace: namespace, Verb: "get", Group: Group, Resource: Resource},
		}
		for key, values := range u.Extra {
			spec.Extra[key] = authz.ExtraValue(values)
		}
		leave, err := c.of.askers.enter(ctx, u.key)
		if err != nil {
			return false, 0, status.Error(codes.Unavailable, "what you may see cannot be found out now: you ask for more than is reviewed for one user at a time")
		}
		defer leave()
		said, err := c.of.rights(ctx, &authz.SubjectAccessReview{Spec: spec})
		if err != nil {
			c.of.log.Warn("a client's rights cannot be reviewed", "client", u.Username, "namespace", namespace, "error", err)
			return false, 0, status.Error(codes.Unavailable, "what you may see cannot be found out now: the API server does not review rights for the relay, whose log says why")
		}
		if said.Status.Allowed && !said.Status.Denied {
			return true, Remember, nil
		}
		return false, refusal, nil
	})
}

// whole is all that the API server said of a user, as a key.
func whole(u authn.UserInfo) string {
	text := fmt.Sprintf("%q %q %q", u.Username, u.UID, u.Groups)
	for _, key := range slices.Sorted(maps.Keys(u.Extra)) {
		text += fmt.Sprintf(" %q=%q", key, u.Extra[key])
	}
	return text
}
