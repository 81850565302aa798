#pragma once

#include <span>
#include <string>
#include <vector>

#include "telos/positional/compiler.h"
#include "telos/positional/lab.h"
#include "telos/positional/measure.h"
#include "telos/positional/studies.h"
#include "telos/positional/theory.h"
#include "telos/positional/timing.h"
#include "telos/report/words.h"

// From the lens's results to one Report each: verdict, tables, figures.

namespace telos::positional {

/// What was trained: error by scale with medians and bands over runs, E_c/c², learning curves, the runs, and
/// the attention maps of the first positional run. Several results (kinds, sizes, sample counts) are
/// compared.
Report training_report(std::span<const TrainResult> results, const PageContext& context);

/// One model's error by scale and length; maps and capacity of the model itself.
Report evaluation_report(const EvalResult& result, const Model& model, const CapacityReport& capacity,
                         const PageContext& context);

/// Norms, Lipschitz constants and the terms of the bound, layer by layer; several models side by side, by the
/// names given or by number and kind.
Report capacity_report(std::span<const CapacityReport> reports, const PageContext& context,
                       std::span<const std::string> names = {});

/// A compiled program: sizes, the proof, the largest whole numbers, wires, channels by layer.
Report compiled_report(const CompiledProgram& compiled, const PageContext& context);
/// Outputs of a program or model on given rows: one row a sample and node.
Report execution_report(const Matrix<double>& outputs, std::span<const std::string> names, std::size_t nodes,
                        const std::string& how, const PageContext& context);

/// Heads of a trained transformer: how much of their attention positions explain; as a part of a larger page,
/// whose tables are told apart by a prefix, or alone.
Section positions_section(const PositionMeasures& measures, const std::string& prefix = {});
Report positions_report(const PositionMeasures& measures, const PageContext& context);
/// What the model loses when such heads are made static.
Report static_heads_report(const StaticHeads& result, const PageContext& context);

Report studies_report(std::span<const StudyResult> results, const PageContext& context);

/// Training steps timed here, and what each plan of a layer would take.
Report timing_report(std::span<const StepTiming> timings, const PageContext& context);

/// Tasks, kinds of models, built-in programs, experiments.
Report tasks_report(const PageContext& context);

std::vector<Definition> positional_definitions();

}  // namespace telos::positional
