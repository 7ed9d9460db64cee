// What a script says, one evaluation, and the doors to Python, XLA and LAMMPS.

#include "pair_tlmlp.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "lammps.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include "xla/ffi/api/ffi.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ffi = xla::ffi;

constexpr double WARM = 0.3;    // Å, by which bonds of a warm crystal may be shorter
static Describe describe = nullptr;
static Evaluate evaluate = nullptr;

PairTLMLP *PairTLMLP::active = nullptr;
int PairTLMLP::count = 0;

PairTLMLP::PairTLMLP(LAMMPS *lmp) : Pair(lmp), key(count++)
{
  single_enable = restartinfo = 0;
  one_coeff = manybody_flag = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
}

PairTLMLP::~PairTLMLP()
{
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
  memory->destroy(cutghost);
}

// Ends all ranks with the sentence of the first that has a fault; every rank has to call it.
void PairTLMLP::settle(bool fault, const std::string &sentence)
{
  int mine = fault ? comm->me : comm->nprocs, worst;
  MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MIN, world);
  if (worst == comm->nprocs) return;
  Fault words = {};
  strncpy(words, sentence.c_str(), sizeof(words) - 1);
  MPI_Bcast(words, sizeof(words), MPI_CHAR, worst, world);
  error->all(FLERR, "{}", words);
}

// ---- what a script says

void PairTLMLP::settings(int narg, char **arg)
{
  std::string way = narg ? arg[0] : "exchange";
  if (narg > 1 || (way != "exchange" && way != "halo"))
    error->all(FLERR, "pair_style tlmlp takes exchange or halo, or nothing");
  halo = way == "halo";
  for (int i = 1; allocated && i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 0;    // pair_coeff has to come again
}

void PairTLMLP::coeff(int narg, char **arg)
{
  const int n = atom->ntypes;
  if (narg < 3 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
    error->all(FLERR, "pair_coeff of tlmlp is: * * NAME ELEMENT ..., an element for each type");
  if (!allocated) {
    memory->create(setflag, n + 1, n + 1, "pair:setflag");
    memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
    memory->create(cutghost, n + 1, n + 1, "pair:cutghost");
    allocated = 1;
  }
  element_of.assign(n + 1, -1);
  model = Model{0, 0, halo, comm->nprocs, 0, element_of.data()};
  Fault fault = {};
  std::vector<char *> words(arg + 2, arg + narg);
  std::string types = std::to_string(n);
  words.insert(words.begin(), types.data());
  bool bad = describe(key, int(words.size()), words.data(), &model, fault) != 0;
  settle(bad, fault);
  for (int i = 1; i <= n; i++)
    for (int j = 1; j <= n; j++) setflag[i][j] = element_of[i] >= 0 && element_of[j] >= 0;
  slots = 0;
  room.assign(model.blocks + 1, 0);
}

void PairTLMLP::init_style()
{
  if (!force->newton_pair)
    error->all(FLERR, "pair_style tlmlp needs newton on: forces on ghost atoms go home");
  if (strcmp(update->unit_style, "metal") != 0)
    error->all(FLERR, "pair_style tlmlp needs units metal: eV, Å and ps");
  if (halo) {
    ghostneigh = 1;
    double reach = (model.blocks + 1) * model.cutoff + neighbor->skin;
    comm->cutghostuser = std::max(comm->cutghostuser, reach);
    neighbor->add_request(this, NeighConst::REQ_FULL | NeighConst::REQ_GHOST);
  } else {
    comm_forward = 1;    // a number holds the two of an owner
    neighbor->add_request(this, NeighConst::REQ_FULL);
  }
}

double PairTLMLP::init_one(int i, int j)
{
  cutghost[i][j] = cutghost[j][i] = model.cutoff;
  return model.cutoff;
}

// ---- one evaluation

void PairTLMLP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (!halo && neighbor->ago == 0) find_owners();
  if (halo && !room[0]) {    // a warm crystal has bonds that a perfect one has not
    find_bonds(model.cutoff + WARM);
    grow_rows();
  }
  find_bonds(model.cutoff);
  grow_rows();
  grow_slots();
  fill();
  std::string words;
  match(words);
  settle(!words.empty(), words);

  const int R = room.back(), E = room[0];
  Step step{E, R, slots, comm->nprocs, room.data(), species.data(), neighbors.data(),
            reverse.data(), vectors.data(), mask.data(), atom_mask.data(), energies.data(),
            slopes.data()};
  Fault fault = {};
  active = this;
  bool bad = evaluate(key, &step, fault) != 0;
  active = nullptr;
  // In the exchange the others may be waiting for this rank: it can only end them all.
  if (bad && !halo && comm->nprocs > 1) error->one(FLERR, "{}", fault);
  double sum = 0;
  for (int r = 0; r < layers[0]; r++) sum += energies[r];
  for (float g : slopes) sum += g;
  if (!bad && !std::isfinite(sum))
    strncpy(fault, "an energy or a force is not a number (NaN): take a shorter timestep, or look "
            "at the starting structure", sizeof(fault) - 1);
  settle(fault[0] != 0, fault);
  add_forces();
}

// F_i = g, F_j = -g for every bond; half of a bond's virial goes to each end.
void PairTLMLP::add_forces()
{
  double **f = atom->f, sums[6] = {};
  const int K = slots;
  for (int r = 0; r < int(rows.size()); r++) {
    double own[3] = {};
    for (int s = r * K; s < (r + 1) * K; s++) {
      const int j = slot_atom[s];
      if (j < 0 || !mask[s]) continue;
      const float *g = &slopes[3 * s], *v = &vectors[3 * s];
      for (int c = 0; c < 3; c++) {
        own[c] += g[c];
        f[j][c] -= g[c];
      }
      if (!vflag_either) continue;
      const double w[6] = {-double(v[0]) * g[0], -double(v[1]) * g[1], -double(v[2]) * g[2],
                           -double(v[0]) * g[1], -double(v[0]) * g[2], -double(v[1]) * g[2]};
      for (int c = 0; c < 6; c++) {
        sums[c] += w[c];
        if (!vflag_atom) continue;
        vatom[rows[r]][c] += 0.5 * w[c];
        vatom[j][c] += 0.5 * w[c];
      }
    }
    for (int c = 0; c < 3; c++) f[rows[r]][c] += own[c];
  }
  if (vflag_global)
    for (int c = 0; c < 6; c++) virial[c] += sums[c];
  for (int r = 0; r < layers[0]; r++) {
    if (eflag_global) eng_vdwl += energies[r];
    if (eflag_atom) eatom[rows[r]] += energies[r];
  }
}

double PairTLMLP::memory_usage()
{
  return Pair::memory_usage() + 4.0 * (vectors.size() + slopes.size() + 4.0 * bonds.size() +
      3.0 * reverse.size());
}

// ---- doors: for XLA, for Python, for LAMMPS

static ffi::Error swapped(ffi::Buffer<ffi::F32> from, ffi::Buffer<ffi::S32> reverse,
                          ffi::ResultBuffer<ffi::F32> to)
{
  try {
    PairTLMLP::active->swap(from.typed_data(), reverse.typed_data(), to->typed_data(),
                            int(from.dimensions().back()));
  } catch (std::exception &error) {
    return ffi::Error(ffi::ErrorCode::kInternal, error.what());
  }
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(tlmlp_swap, swapped, ffi::Ffi::Bind()
    .Arg<ffi::Buffer<ffi::F32>>().Arg<ffi::Buffer<ffi::S32>>().Ret<ffi::Buffer<ffi::F32>>());

extern "C" int tlmlp_lammps() { return TLMLP_LAMMPS; }    // the LAMMPS that this was compiled for
extern "C" void tlmlp_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

extern "C" void tlmlp_connect(Describe d, Evaluate e)
{
  describe = d;
  evaluate = e;
}

struct Plugin {    // lammpsplugin_t; its header is not installed with LAMMPS
  const char *version, *style, *name, *info, *author;
  void *creator, *handle;
};

static void *create(void *lmp) { return new PairTLMLP(static_cast<LAMMPS *>(lmp)); }

extern "C" void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  Plugin plugin{static_cast<LAMMPS *>(lmp)->version, "pair", "tlmlp", "potentials of tlmlp",
                "tlmlp developers", reinterpret_cast<void *>(create), handle};
  reinterpret_cast<void (*)(Plugin *, void *)>(regfunc)(&plugin, lmp);
}
