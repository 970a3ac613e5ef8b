//! The pipeline under test: the real one, or the reference with a fault in it or none.

use maskline_domain::{State, Timestamp};
use maskline_journal::batch::Tip;
use maskline_journal::pipeline::{Clocks, Input, Limits, Output, Pipeline, Touch};

use crate::faults::Fault;
use crate::reference_pipeline::ReferencePipeline;
use crate::world::Caller;

/// Either of the two, with one face.
#[derive(Debug)]
pub enum Machine {
    /// The real pipeline.
    Real(Box<Pipeline<Caller>>),
    /// The plain one.
    Reference(Box<ReferencePipeline>),
}

impl Machine {
    pub fn real(state: State, tip: Tip, limits: Limits) -> Self {
        Self::Real(Box::new(Pipeline::new(state, tip, limits)))
    }

    pub fn reference(state: State, tip: Tip, limits: Limits, fault: Option<Fault>) -> Self {
        Self::Reference(Box::new(ReferencePipeline::new(state, tip, limits, fault)))
    }

    pub fn handle_input(&mut self, input: Input<Caller>, clocks: Clocks) {
        match self {
            Self::Real(pipeline) => pipeline.handle_input(input, clocks),
            Self::Reference(reference) => reference.handle_input(input, clocks),
        }
    }

    pub fn poll_output(&mut self) -> Option<Output<Caller>> {
        match self {
            Self::Real(pipeline) => pipeline.poll_output(),
            Self::Reference(reference) => reference.poll_output(),
        }
    }

    pub fn poll_timeout(&self) -> Option<u64> {
        match self {
            Self::Real(pipeline) => pipeline.poll_timeout(),
            Self::Reference(reference) => reference.poll_timeout(),
        }
    }

    pub fn state(&self) -> &State {
        match self {
            Self::Real(pipeline) => pipeline.state(),
            Self::Reference(reference) => reference.state(),
        }
    }

    pub fn now(&self, clocks: Clocks) -> Timestamp {
        match self {
            Self::Real(pipeline) => pipeline.now(clocks),
            Self::Reference(reference) => reference.now(clocks),
        }
    }

    pub fn must_wait(&self, touch: Touch) -> bool {
        match self {
            Self::Real(pipeline) => pipeline.must_wait(touch),
            Self::Reference(reference) => reference.must_wait(touch),
        }
    }

    pub fn queued(&self) -> usize {
        match self {
            Self::Real(pipeline) => pipeline.queued(),
            Self::Reference(reference) => reference.queued(),
        }
    }

    pub fn tip(&self) -> Tip {
        match self {
            Self::Real(pipeline) => pipeline.tip(),
            Self::Reference(reference) => reference.tip(),
        }
    }
}
