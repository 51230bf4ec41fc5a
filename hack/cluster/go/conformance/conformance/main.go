// Command conformance runs the Gateway API's conformance suite, as it is released, against the cluster that KUBECONFIG
// names.
//
// The suite is meant for `go test`; this is the same as a program, so that nobody needs its sources where it runs. It
// takes the suite's flags (--gateway-class, --skip-tests, --report-output and so on) and those of a test (-test.v).
package main

import (
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

func main() {
	matches := func(pattern, name string) (bool, error) { return regexp.MatchString(pattern, name) }
	all := []testing.InternalTest{{Name: "TestConformance", F: run}}
	testing.Main(matches, all, nil, nil)
}

func run(t *testing.T) {
	options := conformance.DefaultOptions(t)
	// A misspelt one would be run after all, and stay on the list for ever.
	for _, name := range options.SkipTests {
		known := func(test suite.ConformanceTest) bool { return test.ShortName == name }
		if !slices.ContainsFunc(tests.ConformanceTests, known) {
			t.Fatalf("there is no test %q to leave out", name)
		}
	}
	// The cluster is a test's own: nobody has to be spared.
	options.RestConfig.QPS = -1
	conformance.RunConformanceWithOptions(t, options)
}
