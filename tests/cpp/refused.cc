// SPDX-License-Identifier: BSD-2-Clause
// SPDX-FileCopyrightText: 2026 the isthmus authors
// Each must not compile: REFUSED is which. Without it, all of this does.
#include <isthmus/isthmus.hpp>

void use(isthmus::SharedMemoryManager *manager, isthmus::SharedMemory *memory);
void use(isthmus::SharedMemoryManager *manager, isthmus::SharedMemory *memory)
{
	isthmus::SharedMemoryManager::DriverMemoryPool *pool = manager->driver_pool();
	isthmus::SharedMemory other(std::move(*memory));

#if REFUSED == 1
	pool = manager->client_pool();
#elif REFUSED == 2
	isthmus::SharedMemory copy(other);
#elif REFUSED == 3
	other = *memory;
#elif REFUSED == 4
	isthmus::zircon::SharedMemoryManager::DriverMemoryPool *zircon = pool;
#elif REFUSED == 5
	isthmus::SharedMemoryRangeTraits range;
#endif
	(void)pool;
}
