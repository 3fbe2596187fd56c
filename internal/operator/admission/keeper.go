package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Names of objects. The chart has them too.
const (
	Configuration = "weft-policies" // ValidatingWebhookConfiguration, made by the chart
	Secret        = "weft-webhook"  // made here
	Service       = "weft-webhook"  // made by the chart
)

// every is how often a Keeper looks.
const every = time.Minute

// Keeper keeps the certificate: makes and renews it if this replica leads, and reads it for Server.
type Keeper struct {
	Reader    client.Reader // not from a cache: one Secret does not deserve a watch on all of them
	Writer    client.Writer
	Namespace string
	Leads     <-chan struct{} // closed once this replica holds the Lease
	Log       *slog.Logger
	Now       func() time.Time // nil: the clock

	current atomic.Pointer[tls.Certificate]
}

// NeedLeaderElection says that every replica keeps: all of them serve.
func (k *Keeper) NeedLeaderElection() bool { return false }

// Start keeps until ctx ends.
func (k *Keeper) Start(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	leads, said := k.Leads, ""
	for {
		if err := k.Step(ctx); err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			k.Log.Warn("the webhook has no certificate that is in order", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-leads:
			leads = nil // from now on, only the clock
		case <-tick.C:
		}
	}
}

func (k *Keeper) leads() bool {
	select {
	case <-k.Leads:
		return true
	default:
		return false
	}
}

// Step looks once: whether the Secret and which authority the API server trusts are as they should be, and which certificate is
// in use.
func (k *Keeper) Step(ctx context.Context) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: Secret}}
	err := k.Reader.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read Secret %s/%s: %w", k.Namespace, Secret, err)
	}
	if k.leads() {
		if err := k.renew(ctx, secret, apierrors.IsNotFound(err)); err != nil {
			return err
		}
	}
	if len(secret.Data[keyCertificate]) == 0 {
		return errors.New("waiting for the replica that leads to make one")
	}
	pair, err := tls.X509KeyPair(secret.Data[keyCertificate], secret.Data[keyPrivate])
	if err != nil {
		return fmt.Errorf("read the certificate of Secret %s/%s: %w", k.Namespace, Secret, err)
	}
	k.current.Store(&pair)
	return nil
}

// renew brings the Secret and the trust of the API server up to date: the trust first.
func (k *Keeper) renew(ctx context.Context, secret *corev1.Secret, create bool) error {
	now := time.Now
	if k.Now != nil {
		now = k.Now
	}
	data, changed, err := renew(now(), secret.Data, names(k.Namespace))
	if err != nil {
		return err
	}
	if err := k.trust(ctx, data[keyAuthority]); err != nil {
		return err
	}
	if !changed {
		return nil
	}
	secret.Data, secret.Type = data, corev1.SecretTypeTLS
	write := func() error { return k.Writer.Update(ctx, secret) }
	if create {
		write = func() error { return k.Writer.Create(ctx, secret) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", k.Namespace, Secret, err)
	}
	k.Log.Info("the webhook has a new certificate", "secret", k.Namespace+"/"+Secret)
	return nil
}

// trust writes which authority to trust into the configuration of the webhook, if there is one.
func (k *Keeper) trust(ctx context.Context, bundle []byte) error {
	var c admissionregistrationv1.ValidatingWebhookConfiguration
	if err := k.Reader.Get(ctx, types.NamespacedName{Name: Configuration}, &c); err != nil {
		return fmt.Errorf("read ValidatingWebhookConfiguration %s: %w; the chart makes it with webhook.enabled", Configuration, err)
	}
	changed := false
	for i := range c.Webhooks {
		if own := &c.Webhooks[i].ClientConfig; !bytes.Equal(own.CABundle, bundle) {
			own.CABundle, changed = slices.Clone(bundle), true
		}
	}
	if !changed {
		return nil
	}
	if err := k.Writer.Update(ctx, &c); err != nil {
		return fmt.Errorf("write ValidatingWebhookConfiguration %s: %w", Configuration, err)
	}
	return nil
}

// names are those that the API server may call the Service by.
func names(namespace string) []string {
	own := Service + "." + namespace
	return []string{own + ".svc", own + ".svc.cluster.local"}
}

// certificate is the one in use, for a TLS handshake.
func (k *Keeper) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := k.current.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("the webhook has no certificate yet")
}
