package measure

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Pod is whose series go when it is gone.
type Pod struct{ Namespace, Name string }

// grace is how long the series of a pod stay when it is gone: its last numbers are scraped meanwhile.
const grace = time.Minute

// Other stands in all labels of the series that counts what found no room.
const Other = "other"

// series are those of one metric, at most limit. M is a counter or a histogram.
type series[M any] struct {
	name   string
	labels []string
	limit  int
	vector interface {
		prometheus.Collector
		DeleteLabelValues(values ...string) bool
	}
	with func(values ...string) M

	mu       sync.Mutex
	known    map[string]*entry[M]
	key      []byte
	folded   *entry[M] // where more would be too many; it is one of them
	overflow uint64    // how often something was counted there
	pods     map[Pod]map[*entry[M]]bool
	gone     map[Pod]time.Time // since when
}

// entry is one series.
type entry[M any] struct {
	metric M
	key    string
	values []string
	pods   []Pod
}

func newSeries[M any](name string, labels []string, limit int) *series[M] {
	return &series[M]{name: name, labels: labels, limit: max(limit, 1), known: map[string]*entry[M]{}, pods: map[Pod]map[*entry[M]]bool{}, gone: map[Pod]time.Time{}}
}

func counters(name, help string, labels []string, limit int) *series[prometheus.Counter] {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s := newSeries[prometheus.Counter](name, labels, limit)
	s.vector, s.with = v, v.WithLabelValues
	return s
}

func histograms(name, help string, labels []string, limit int) *series[prometheus.Observer] {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help}, labels)
	s := newSeries[prometheus.Observer](name, labels, limit)
	s.vector, s.with = v, v.WithLabelValues
	return s
}

// at gives the series with these values of its labels, which are about these pods.
func (s *series[M]) at(pods []Pod, values ...string) M {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = s.key[:0]
	for _, v := range values {
		s.key = append(append(s.key, v...), 0xff) // stands in no UTF-8
	}
	if e := s.known[string(s.key)]; e != nil {
		return e.metric
	}
	if len(s.known) >= s.limit || len(s.known) == s.limit-1 && s.folded == nil {
		s.overflow++
		if s.folded == nil {
			s.folded = s.add(Other, nil, slices.Repeat([]string{Other}, len(s.labels)))
		}
		return s.folded.metric
	}
	own := make([]string, len(values))
	for i, v := range values {
		own[i] = strings.ToValidUTF8(strings.Clone(v), "?")
	}
	return s.add(string(s.key), slices.Clone(pods), own).metric
}

func (s *series[M]) add(key string, pods []Pod, values []string) *entry[M] {
	e := &entry[M]{metric: s.with(values...), key: key, values: values, pods: pods}
	s.known[key] = e
	for _, p := range pods {
		if s.pods[p] == nil {
			s.pods[p] = map[*entry[M]]bool{}
		}
		s.pods[p][e] = true
	}
	return e
}

// forget takes out the series of pods that are gone since a while.
func (s *series[M]) forget(now time.Time, lives func(Pod) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pod, of := range s.pods {
		since, gone := s.gone[pod]
		switch {
		case lives(pod):
			delete(s.gone, pod)
		case !gone:
			s.gone[pod] = now
		case now.Sub(since) >= grace:
			for e := range of {
				s.remove(e)
			}
		}
	}
}

func (s *series[M]) remove(e *entry[M]) {
	delete(s.known, e.key)
	s.vector.DeleteLabelValues(e.values...)
	for _, p := range e.pods {
		if delete(s.pods[p], e); len(s.pods[p]) == 0 {
			delete(s.pods, p)
			delete(s.gone, p)
		}
	}
}

func (s *series[M]) size() (series int, overflow uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known), s.overflow
}

func (s *series[M]) title() string                   { return s.name }
func (s *series[M]) collector() prometheus.Collector { return s.vector }

// anySeries are those of a metric, whatever they count.
type anySeries interface {
	title() string
	collector() prometheus.Collector
	size() (series int, overflow uint64)
	forget(now time.Time, lives func(Pod) bool)
}
