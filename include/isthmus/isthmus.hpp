// SPDX-License-Identifier: BSD-2-Clause
// SPDX-FileCopyrightText: 2026 the isthmus authors
//
// isthmus for C++17: a manager, its two pools and their allocations as objects that clean up after themselves. Header only; neither
// exceptions nor RTTI are needed. What is not here (mappings, owners, backings) is used by its C functions, with manager->get().
//
// Classes and methods have the names of the shared memory of Fuchsia's OP-TEE driver (shared-memory.h in src/devices/tee/drivers/optee), so
// code that was written for it compiles with
//
//	namespace optee = isthmus::zircon;	// functions return Zircon's status codes; or
//	namespace optee = isthmus;		// functions return 0 or a negative errno value, as in C
//
// in both of which 0 is success. Differences: a SharedMemory may outlive its manager (below), one that was moved from is empty, addresses are
// aligned in themselves, not only inside their pool, and SharedMemory is no node of fbl's lists.
#ifndef ISTHMUS_ISTHMUS_HPP
#define ISTHMUS_ISTHMUS_HPP

#if __cplusplus < 201703L
#error "isthmus.hpp needs C++17"
#endif

#include <isthmus/isthmus.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace isthmus
{

using vaddr_t = std::uintptr_t;
using paddr_t = std::uint64_t;
class SharedMemoryView;

// What allocations and views have in common: where they are, and what is inside. Plain values; every method is wait-free and signal safe.
class SharedMemoryRangeTraits
{
      public:
	vaddr_t vaddr() const noexcept
	{
		return reinterpret_cast<vaddr_t>(view_.vaddr);
	}
	paddr_t paddr() const noexcept
	{
		return view_.paddr;
	}
	// Bytes, exactly as asked for.
	std::size_t size() const noexcept
	{
		return view_.size;
	}
	// The same as a plain structure, for the C functions.
	const ist_view &view() const noexcept
	{
		return view_;
	}

	// Half-open, exact up to the top of the address space. An empty range contains nothing.
	bool ContainsVaddr(vaddr_t vaddr) const noexcept
	{
		return ist_view_contains_vaddr(&view_, pointer(vaddr));
	}
	bool ContainsPaddr(paddr_t paddr) const noexcept
	{
		return ist_view_contains_paddr(&view_, paddr);
	}

	// [start, end), or nothing: if that is empty or not wholly inside. Never clamped, of any alignment.
	std::optional<SharedMemoryView> SliceByVaddr(vaddr_t start, vaddr_t end) const noexcept;
	std::optional<SharedMemoryView> SliceByPaddr(paddr_t start, paddr_t end) const noexcept;

      protected:
	SharedMemoryRangeTraits() noexcept = default;
	explicit SharedMemoryRangeTraits(const ist_view &view) noexcept : view_(view)
	{
	}
	SharedMemoryRangeTraits(const SharedMemoryRangeTraits &) noexcept = default;
	SharedMemoryRangeTraits &operator=(const SharedMemoryRangeTraits &) noexcept = default;
	~SharedMemoryRangeTraits() = default;

	static void *pointer(vaddr_t vaddr) noexcept
	{
		return reinterpret_cast<void *>(vaddr);
	}

	ist_view view_ = {nullptr, 0, 0};
};

namespace internal
{

// Something that lives as long as a manager, whatever it is.
struct Kept {
	Kept() noexcept = default;
	Kept(const Kept &) = delete;
	Kept &operator=(const Kept &) = delete;
	virtual ~Kept() = default;
};

template <class Thing> struct KeptThing final : Kept {
	explicit KeptThing(Thing &&thing) : thing_(std::move(thing))
	{
	}
	Thing thing_;
};

// A manager and the memory that it is over. It ends with the C++ manager, or, if allocations are left then, with the last of these.
class State
{
      public:
	State() noexcept = default;
	State(const State &) = delete;
	State &operator=(const State &) = delete;

	// Takes the memory over, whatever becomes of it.
	static int Create(std::unique_ptr<Kept> memory, void *vaddr, paddr_t paddr, std::size_t size,
	                  std::size_t driver_pool_size, State **out) noexcept
	{
		ist_manager_config config = {};
		std::unique_ptr<State> state(new (std::nothrow) State);
		int error;

		if (!state)
			return -ENOMEM;
		config.vaddr = vaddr;
		config.paddr = paddr;
		config.size = size;
		config.driver_pool_size = driver_pool_size;
		error = ist_manager_create(&config, &state->manager_);
		if (error != 0)
			return error;
		state->memory_ = std::move(memory);
		*out = state.release();
		return 0;
	}

	ist_manager *manager() const noexcept
	{
		return manager_;
	}

	// The owner goes. What is still allocated stays good, and the last of it takes the state along.
	void Leave() noexcept
	{
		std::unique_lock<std::mutex> lock(mutex_);

		left_ = true;
		End(lock);
	}

	// Whoever frees while the owner is there needs no lock: the owner does not go at the same time. Afterwards there may be
	// several, of whom one ends the state, which nobody else may use then.
	void Free(ist_shm *shm) noexcept
	{
		if (!left_) {
			(void)ist_shm_free(shm);
			return;
		}
		std::unique_lock<std::mutex> lock(mutex_);
		(void)ist_shm_free(shm);
		End(lock);
	}

      private:
	~State() = default;
	friend std::default_delete<State>;

	// It refuses to end while anything is left: then somebody comes who tries again.
	void End(std::unique_lock<std::mutex> &lock) noexcept
	{
		if (ist_manager_destroy(manager_) != 0)
			return;
		lock.unlock();
		delete this;
	}

	ist_manager *manager_ = nullptr;
	std::unique_ptr<Kept> memory_;
	std::mutex mutex_;
	bool left_ =
	        false; // written once, by the owner's destructor, before anybody may look at it afterwards
};

// How functions say what went wrong.
struct ErrnoStatus {
	using type = int;
	static int of_create(int error) noexcept
	{
		return error;
	}
	static int of_allocate(int error) noexcept
	{
		return error;
	}
};

// Zircon's codes. Its pools answer every failure alike.
struct ZirconStatus {
	using type = std::int32_t;
	static constexpr type kNoResources = -3, kNoMemory = -4, kInvalidArgs = -10;

	static type of_create(int error) noexcept
	{
		return error == 0         ? 0
		       : error == -ENOSPC ? kNoResources
		       : error == -ENOMEM ? kNoMemory
		                          : kInvalidArgs;
	}
	static type of_allocate(int error) noexcept
	{
		return error == 0 ? 0 : kNoResources;
	}
};

struct Access;

} // namespace internal

// An allocation of either pool: it is given back when this is destroyed or assigned to. Move-only; empty (null, 0, 0) when it was moved from.
//
// It may be destroyed after its manager: the memory stays until the last one is, and then goes. (Not at the same moment in another thread: as
// with any object, all use of a manager and of what it allocated comes before its destructor or after it.) One SharedMemory is for one thread at
// a time; different ones are independent, whatever pool they are of. Never blocks, while the manager is there.
class SharedMemory : public SharedMemoryRangeTraits
{
      public:
	SharedMemory() noexcept = default;
	SharedMemory(SharedMemory &&other) noexcept
	    : SharedMemoryRangeTraits(other.view_), shm_(other.shm_), state_(other.state_)
	{
		other.Forget();
	}
	SharedMemory &operator=(SharedMemory &&other) noexcept
	{
		if (this != &other) {
			Reset();
			view_ = other.view_;
			shm_ = other.shm_;
			state_ = other.state_;
			other.Forget();
		}
		return *this;
	}
	SharedMemory(const SharedMemory &) = delete;
	SharedMemory &operator=(const SharedMemory &) = delete;
	~SharedMemory()
	{
		Reset();
	}

	// Give it back now, and be empty.
	void Reset() noexcept
	{
		internal::State *state = state_;
		ist_shm shm = shm_;

		Forget();
		if (state)
			state->Free(&shm);
	}

	explicit operator bool() const noexcept
	{
		return state_ != nullptr;
	}

      private:
	friend struct internal::Access;
	SharedMemory(const ist_shm &shm, internal::State *state) noexcept
	    : SharedMemoryRangeTraits(shm.view), shm_(shm), state_(state)
	{
	}

	void Forget() noexcept
	{
		view_ = {nullptr, 0, 0};
		shm_ = {};
		state_ = nullptr;
	}

	ist_shm shm_ = {};
	internal::State *state_ = nullptr;
};

// A piece of an allocation. Owns nothing, keeps nothing alive.
class SharedMemoryView : public SharedMemoryRangeTraits
{
      public:
	SharedMemoryView() noexcept = default;
	SharedMemoryView(const SharedMemory &memory) noexcept : SharedMemoryRangeTraits(memory.view())
	{
	}
	explicit SharedMemoryView(const ist_view &view) noexcept : SharedMemoryRangeTraits(view)
	{
	}
	SharedMemoryView(const SharedMemoryView &) noexcept = default;
	SharedMemoryView &operator=(const SharedMemoryView &) noexcept = default;
};

inline std::optional<SharedMemoryView> SharedMemoryRangeTraits::SliceByVaddr(vaddr_t start,
                                                                             vaddr_t end) const noexcept
{
	ist_view slice;

	if (ist_view_slice_by_vaddr(&view_, pointer(start), pointer(end), &slice) != 0)
		return std::nullopt;
	return SharedMemoryView(slice);
}

inline std::optional<SharedMemoryView> SharedMemoryRangeTraits::SliceByPaddr(paddr_t start,
                                                                             paddr_t end) const noexcept
{
	ist_view slice;

	if (ist_view_slice_by_paddr(&view_, start, end, &slice) != 0)
		return std::nullopt;
	return SharedMemoryView(slice);
}

// The two kinds of pools. Their types differ, so a message cannot be taken from the client pool by mistake.
struct DriverPoolTraits {
	static std::size_t Alignment() noexcept
	{
		return 8;
	}
	static int Take(ist_manager *manager, std::size_t size, ist_shm *out) noexcept
	{
		int error = ist_driver_pool_alloc(ist_manager_driver_pool(manager), size, out);

		if (error == 0)
			std::memset(out->view.vaddr, 0, out->view.size);
		return error;
	}
	static void Stats(ist_manager *manager, ist_pool_stats *out) noexcept
	{
		ist_driver_pool_stats(ist_manager_driver_pool(manager), out);
	}
	// The driver's share of memory that is there for one pool alone: half of it is as much as there may be.
	static std::size_t Share(std::size_t pages) noexcept
	{
		return pages / 2 * IST_PAGE_SIZE;
	}
};

struct ClientPoolTraits {
	static std::size_t Alignment() noexcept
	{
		return IST_PAGE_SIZE;
	}
	static int Take(ist_manager *manager, std::size_t size, ist_shm *out) noexcept
	{
		return ist_client_pool_alloc(ist_manager_client_pool(manager), size, out);
	}
	static void Stats(ist_manager *manager, ist_pool_stats *out) noexcept
	{
		ist_client_pool_stats(ist_manager_client_pool(manager), out);
	}
	static std::size_t Share(std::size_t) noexcept
	{
		return IST_PAGE_SIZE;
	}
};

namespace internal
{

struct Access {
	static SharedMemory Make(const ist_shm &shm, State *state) noexcept
	{
		return SharedMemory(shm, state);
	}
};

template <class Traits, class Status> class Pool
{
      public:
	using status_t = typename Status::type;

	// A pool over memory of its own, as tests of messages want it. The C library makes pools by twos, and the other one wants a share: this
	// one gets half of the whole pages for DriverPoolTraits, all but one for ClientPoolTraits. As with Fuchsia's, memory that is of no
	// use (less than two whole pages, other offsets in a page, wrapping) makes a pool in which nothing can be allocated.
	Pool(vaddr_t vaddr, paddr_t paddr, std::size_t size) noexcept : owned_(true)
	{
		std::size_t skip = static_cast<std::size_t>(-vaddr % IST_PAGE_SIZE);
		std::size_t pages = size > skip ? (size - skip) / IST_PAGE_SIZE : 0;
		std::size_t share = Traits::Share(pages);

		if (pages >= 2 &&
		    State::Create(nullptr, reinterpret_cast<void *>(vaddr), paddr, size, share, &state_) != 0)
			state_ = nullptr;
	}
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;
	~Pool()
	{
		if (owned_ && state_)
			state_->Leave();
	}

	// Allocate `size` bytes, zeroed. What *out held before is freed when this succeeds, after the new is taken; *out is untouched when not.
	//
	// 0; with errno values: -EINVAL size 0 or out null, -ENOSPC no sufficient free run in the pool, -ENOMEM no heap for the object, -ECHILD in
	// a child by fork; with Zircon's: ZX_ERR_NO_RESOURCES for each. Never blocks but for the heap's sake.
	status_t Allocate(std::size_t size, std::unique_ptr<SharedMemory> *out) noexcept
	{
		ist_shm shm;
		int error = out ? Take(size, &shm) : -EINVAL;

		if (error != 0)
			return Status::of_allocate(error);
		std::unique_ptr<SharedMemory> memory(new (std::nothrow)
		                                             SharedMemory(Access::Make(shm, state_)));
		if (!memory) {
			state_->Free(&shm);
			return Status::of_allocate(-ENOMEM);
		}
		*out = std::move(memory);
		return 0;
	}

	// The same without a heap, for which nothing is left over to say why there is none. Usable in a signal handler.
	std::optional<SharedMemory> Allocate(std::size_t size) noexcept
	{
		ist_shm shm;

		if (Take(size, &shm) != 0)
			return std::nullopt;
		return Access::Make(shm, state_);
	}

	// A snapshot, as of ist_driver_pool_stats; of a pool that is none, zeroes.
	ist_pool_stats Stats() const noexcept
	{
		ist_pool_stats stats = {};

		if (state_)
			Traits::Stats(state_->manager(), &stats);
		return stats;
	}

      private:
	template <class> friend class Manager;
	explicit Pool(State *state) noexcept : state_(state)
	{
	}

	int Take(std::size_t size, ist_shm *out) noexcept
	{
		return state_ ? Traits::Take(state_->manager(), size, out) : -ENOSPC;
	}

	State *state_ = nullptr;
	bool owned_ = false;
};

// One carve-out and its two pools.
template <class Status> class Manager
{
      public:
	using status_t = typename Status::type;
	using DriverMemoryPool = Pool<DriverPoolTraits, Status>;
	using ClientMemoryPool = Pool<ClientPoolTraits, Status>;

	// Over a buffer: anything movable that has get(), the address, and get_size(), in bytes, as Fuchsia's MmioBuffer has. It is consumed
	// whatever comes of it, and lives until the manager and all that it allocated are gone. The driver pool gets the first four
	// pages, the client pool the rest. `paddr` is that of the buffer's first byte.
	//
	// 0 and the manager in *out; otherwise *out is untouched: errors of ist_manager_create; with Zircon's codes ZX_ERR_NO_RESOURCES for less than
	// eight whole pages, ZX_ERR_NO_MEMORY, ZX_ERR_INVALID_ARGS for the others. May block.
	template <class Buffer>
	static status_t Create(Buffer buffer, paddr_t paddr, std::unique_ptr<Manager> *out) noexcept
	{
		void *vaddr = const_cast<void *>(static_cast<const volatile void *>(buffer.get()));
		std::size_t size = buffer.get_size();
		std::unique_ptr<Kept> memory(new (std::nothrow) KeptThing<Buffer>(std::move(buffer)));

		return memory ? Create(std::move(memory), vaddr, paddr, size, 0, out)
		              : Status::of_create(-ENOMEM);
	}

	// Over memory that the caller keeps mapped until the manager and all that it allocated are gone. A driver pool of 0 bytes is the default.
	static status_t Create(void *vaddr, paddr_t paddr, std::size_t size, std::unique_ptr<Manager> *out,
	                       std::size_t driver_pool_size = 0) noexcept
	{
		return Create(nullptr, vaddr, paddr, size, driver_pool_size, out);
	}

	Manager(const Manager &) = delete;
	Manager &operator=(const Manager &) = delete;
	~Manager()
	{
		state_->Leave();
	}

	// Never null; good until the manager is destroyed.
	DriverMemoryPool *driver_pool() noexcept
	{
		return &driver_pool_;
	}
	ClientMemoryPool *client_pool() noexcept
	{
		return &client_pool_;
	}

	// For the C functions: backings, owners, mappings. A mapping that is left when the manager is destroyed keeps the carve-out.
	ist_manager *get() const noexcept
	{
		return state_->manager();
	}

	// Where [paddr, paddr + len) lies in this process; and the other way round. What is mapped dynamically is good in a ReadSection only.
	std::optional<void *> PhysToVirt(paddr_t paddr, std::size_t len) const noexcept
	{
		void *vaddr;

		return ist_phys_to_virt(get(), paddr, len, &vaddr) == 0 ? std::optional<void *>(vaddr)
		                                                        : std::nullopt;
	}
	std::optional<paddr_t> VirtToPhys(const void *vaddr, std::size_t len) const noexcept
	{
		paddr_t paddr;

		return ist_virt_to_phys(get(), vaddr, len, &paddr) == 0 ? std::optional<paddr_t>(paddr)
		                                                        : std::nullopt;
	}

      private:
	explicit Manager(State *state) noexcept : state_(state), driver_pool_(state), client_pool_(state)
	{
	}

	static status_t Create(std::unique_ptr<Kept> memory, void *vaddr, paddr_t paddr, std::size_t size,
	                       std::size_t driver_pool_size, std::unique_ptr<Manager> *out) noexcept
	{
		State *state = nullptr;
		int error =
		        out ? State::Create(std::move(memory), vaddr, paddr, size, driver_pool_size, &state)
		            : -EINVAL;

		if (error != 0)
			return Status::of_create(error);
		std::unique_ptr<Manager> manager(new (std::nothrow) Manager(state));
		if (!manager) {
			state->Leave();
			return Status::of_create(-ENOMEM);
		}
		*out = std::move(manager);
		return 0;
	}

	State *state_;
	DriverMemoryPool driver_pool_;
	ClientMemoryPool client_pool_;
};

} // namespace internal

// With errno values, as in C.
template <class Traits> using SharedMemoryPool = internal::Pool<Traits, internal::ErrnoStatus>;
using SharedMemoryManager = internal::Manager<internal::ErrnoStatus>;

// While one is there, what this thread finds stays mapped (read.h). Sections nest. Of the thread that made it.
class ReadSection
{
      public:
	ReadSection() noexcept
	{
		ist_read_enter();
	}
	ReadSection(const ReadSection &) = delete;
	ReadSection &operator=(const ReadSection &) = delete;
	~ReadSection()
	{
		ist_read_leave();
	}
};

// The same with Zircon's status codes, for code that compares with these.
namespace zircon
{

using isthmus::ClientPoolTraits;
using isthmus::DriverPoolTraits;
using isthmus::ReadSection;
using isthmus::SharedMemory;
using isthmus::SharedMemoryRangeTraits;
using isthmus::SharedMemoryView;
template <class Traits> using SharedMemoryPool = internal::Pool<Traits, internal::ZirconStatus>;
using SharedMemoryManager = internal::Manager<internal::ZirconStatus>;

} // namespace zircon
} // namespace isthmus

#endif
