//! The stand-in as a process: real sockets, real signals, and what was observed of Kong 3.9.3 as the measure.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod harness;

#[cfg(test)]
mod metrics;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod proxying;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod switches;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod wire;
